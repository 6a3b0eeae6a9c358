// Reports an error, a message, and dies of a third. Knows only SENTRY_DSN.
const Sentry = require('@sentry/node');

Sentry.init();

function loadPrice(catalogue, article) {
  try {
    return catalogue[article].price;
  } catch (error) {
    throw new Error(`no price for ${article}`, { cause: error });
  }
}

function checkOut(basket) {
  const catalogue = { pear: { price: 3 } };
  return basket.map((article) => loadPrice(catalogue, article));
}

function shipOrder(order) {
  return order.address.street.toUpperCase();
}

async function main() {
  Sentry.setUser({ id: '8', email: 'grace@example.org' });
  Sentry.addBreadcrumb({ category: 'shop', message: 'node put a plum into the basket', level: 'info' });
  try {
    checkOut(['pear', 'plum']);
  } catch (error) {
    Sentry.captureException(error);
  }
  Sentry.captureMessage('node warehouse is nearly full', 'warning');
  await Sentry.flush(5000);
  setImmediate(() => shipOrder({ weight: 1 }));
}

main();
