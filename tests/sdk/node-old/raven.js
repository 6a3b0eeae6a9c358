// Reports an error, a message, and dies of a third, with the SDK before @sentry/node. Knows only SENTRY_DSN.
const Raven = require('raven');

Raven.config({ release: 'shop@1.4.0', environment: 'staging' }).install();
Raven.setContext({ user: { id: '8', email: 'grace@example.org' }, tags: { shelf: '4' } });
Raven.captureBreadcrumb({ category: 'shop', message: 'a pear was put into the basket' });

function loadPrice(article) {
  return { pear: 3 }[article].toFixed();
}

Raven.captureMessage('the warehouse is nearly full', { level: 'warning' }, () => {
  Raven.captureException(new TypeError('a basket is no box'), () => loadPrice('plum'));
});
