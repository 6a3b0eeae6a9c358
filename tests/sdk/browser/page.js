// Sends an item of each kind from a page. Knows only what its page was given: the DSN and, maybe, the tunnel.
const given = (name) => document.querySelector(`meta[name=${name}]`)?.content;

Sentry.init({
  dsn: given('dsn'),
  tunnel: given('tunnel'),
  release: 'shop@1.4.0',
  environment: 'staging',
  tracesSampleRate: 1,
  enableLogs: true,
  integrations: [Sentry.browserTracingIntegration({ idleTimeout: 200 })],
  beforeSend: (event) => (event.message === 'nobody wants to know' ? null : event),
});

function loadPrice(article) {
  return { pear: 3 }[article].toFixed();
}

Sentry.setUser({ id: '10', email: 'annie@example.org' });
let about;
Sentry.withScope((scope) => {
  scope.setTag('shelf', '4');
  scope.addAttachment({ filename: 'basket.csv', data: 'fig;1\n', contentType: 'text/csv' });
  about = Sentry.captureException(new TypeError('a basket is no box'));
});
Sentry.captureMessage('the warehouse is nearly full', 'warning');
Sentry.captureMessage('nobody wants to know');
Sentry.logger.warn('only 2 figs left', { shelf: 4 });
Sentry.captureFeedback(
  { message: 'I only bought a fig.', name: 'Annie', email: 'annie@example.org', associatedEventId: about },
  { attachments: [{ filename: 'screen.png', data: new Uint8Array([137, 80, 78, 71]), contentType: 'image/png' }] },
);
Sentry.startSpan({ name: 'restock', op: 'task', forceTransaction: true, attributes: { shelf: 4 } }, () => {
  Sentry.startSpan({ name: 'sort the shelf', op: 'function' }, () => {});
});
setTimeout(() => loadPrice('plum'));
addEventListener('load', () => setTimeout(async () => {
  await Sentry.flush(5000);
  document.title = 'sent';
}, 1000));
