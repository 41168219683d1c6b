//! From packets to flows, sessions and what was said in them.
