// Sends an item of each kind. Knows only SENTRY_DSN.
const http = require('node:http');
const Sentry = require('@sentry/node');

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
  failureIssueThreshold: 2,
};

function count(fails) {
  if (fails) throw new RangeError('the scales are broken');
}

/** Serves one request that succeeds and one that fails; the SDK counts both as sessions. */
async function serve() {
  const server = http.createServer((request, response) => {
    if (request.url === '/plum') Sentry.captureException(new Error('no price for plum'));
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (const path of ['/pear', '/plum']) {
    await fetch(`http://127.0.0.1:${server.address().port}${path}`).then((response) => response.text());
  }
  server.close();
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
    Sentry.startSpan({ name: 'select price from article', op: 'db' }, () => Sentry.logger.info('within a span'));
  });
  Sentry.withMonitor('nightly-count', () => count(false), monitor);
  try {
    Sentry.withMonitor('nightly-count', () => count(true), monitor);
  } catch {}
  Sentry.logger.warn(Sentry.logger.fmt`only ${2} pears left`, { shelf: 4 });
  Sentry.metrics.count('sold', 3);
  Sentry.captureFeedback(
    { message: 'I only bought a pear.', name: 'Grace', email: 'grace@example.org', associatedEventId: about },
    { attachments: [{ filename: 'screen.png', data: new Uint8Array([137, 80, 78, 71]), contentType: 'image/png' }] },
  );
  await Sentry.flush(5000);
  await serve();
  await Sentry.close(5000);
}

main();
