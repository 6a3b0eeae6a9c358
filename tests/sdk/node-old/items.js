// Sends an item of each kind that the SDK of this version knows. Knows only SENTRY_DSN; the argument names the SDK.
const Sentry = require(process.argv[2]);

Sentry.init({
  release: 'shop@1.4.0',
  environment: 'staging',
  tracesSampleRate: 1,
  enableLogs: true,
  beforeSend: (event) => (event.message === 'nobody wants to know' ? null : event),
});

const monitor = {
  schedule: { type: 'interval', value: 2, unit: 'hour' },
  checkinMargin: 5,
  maxRuntime: 20,
  timezone: 'Europe/Berlin',
};

function count(fails) {
  if (fails) throw new RangeError('the scales are broken');
}

/** What a user wrote, on an event (the older way) and by itself. */
function write(about) {
  const by = { name: 'Grace', email: 'grace@example.org' };
  Sentry.captureUserFeedback?.({ event_id: about, comments: 'I only bought a pear.', ...by });
  Sentry.captureFeedback?.({ message: 'Where are the pears?', associatedEventId: about, ...by });
}

async function main() {
  Sentry.setUser({ id: '8', email: 'grace@example.org' });
  let about;
  Sentry.withScope((scope) => {
    scope.setTag('shelf', '4');
    scope.addAttachment({ filename: 'basket.csv', data: 'pear;2\n', contentType: 'text/csv' });
    about = Sentry.captureException(new TypeError('a basket is no box'));
  });
  Sentry.captureMessage('the warehouse is nearly full', 'warning');
  Sentry.captureMessage('nobody wants to know');
  Sentry.startSpan({ name: 'restock', op: 'task', attributes: { shelf: 4 } }, () => {
    Sentry.startSpan({ name: 'select price from article', op: 'db' }, () => Sentry.logger?.info?.('within a span'));
  });
  Sentry.withMonitor('nightly-count', () => count(false), monitor);
  try {
    Sentry.withMonitor('nightly-count', () => count(true), monitor);
  } catch {}
  write(about);
  await Sentry.flush(5000);
}

main();
