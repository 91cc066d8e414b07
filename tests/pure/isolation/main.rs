//! The isolation checker: histories with a known answer, random ones against a second checker, formats, findings.
mod agree;
mod brute;
mod by_hand;
mod cases;
mod catalogue;
mod database;
mod drawing;
mod formats;
mod laws;
mod notation;
mod played;
mod timestamps;
