//! What Aqueduct's adapters share: queues, handles, sockets
