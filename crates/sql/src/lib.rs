//! Read-only SQL over the lake, planned and run by DataFusion within budgets.
