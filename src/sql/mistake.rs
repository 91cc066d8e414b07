//! Errors that say that a statement is wrong in itself.

/// Errors of syntax, of names that are not there, and of statements that make no sense whatever the rows are. The
/// order in which connections come does not bring them, unless a schema changes meanwhile.
const MISTAKES: &[u16] = &[
    1046, 1049, 1051, 1052, 1054, 1055, 1056, 1058, 1064, 1066, 1072, 1091, 1109, 1110, 1111, 1115, 1128,
    1136, 1146, 1149, 1176, 1193, 1222, 1241, 1243, 1247, 1248, 1273, 1298, 1305, 1327, 1347, 1582, 1630,
    1735, 4139,
];

/// Whether an error of this number says that the statement is wrong in itself.
#[must_use]
pub(crate) fn is_mistake(code: u16) -> bool {
    MISTAKES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_and_none_of_them_comes_of_an_order() {
        assert!(MISTAKES.windows(2).all(|pair| pair[0] < pair[1]));
        for code in [1062, 1205, 1213, 1317, 1451, 1452, 3572, 8028, 9007] {
            assert!(!is_mistake(code), "{code}");
        }
    }
}
