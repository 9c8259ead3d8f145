//! Redis Cluster slots: the slot of a key, who owns it, and what a redirect asks for.
