//! Users, namespaces, capabilities and tickets.
