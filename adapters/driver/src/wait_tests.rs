use super::*;

#[test]
fn a_line_forgets_those_who_left_and_keeps_the_order_of_those_who_stay() {
    let mut line = Line::<u32, ()>::default();
    let mut askers = Vec::new();
    for number in 0..10_000 {
        let (reply, answer) = question();
        line.push(number, reply);
        if number % 1000 == 0 {
            askers.push(answer);
        }
        assert!(line.requests.len() <= 64 + 2 * askers.len(), "{}", line.requests.len());
    }
    let (first, reply) = line.next().unwrap();
    assert_eq!(first, 0);
    line.put_back(first, reply);
    let served: Vec<u32> = std::iter::from_fn(|| line.next().map(|(number, _)| number)).collect();
    assert_eq!(served, (0..10).map(|number| number * 1000).collect::<Vec<_>>());
}
