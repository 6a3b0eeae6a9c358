//! [4] Event -> normalised, grouped. Pure.
