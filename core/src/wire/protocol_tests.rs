use super::*;

/// What the table in the specification says, no number twice.
///
/// spec: R-FRM-30
#[test]
fn numbers_are_those_of_the_table() {
    let all = [MESSAGE, STREAMED_MESSAGE, ROUTE, ANSWER, RANGE, PART];
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    assert_eq!(FIRST_FREE, 64);
}
