//! [3] Durable work queues on Redis Streams; knows nothing of Sentry.
