//! A text index for one file of the lake: which rows hold which words.
