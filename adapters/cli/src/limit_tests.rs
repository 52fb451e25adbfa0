use super::*;

#[tokio::test(start_paused = true)]
async fn a_rate_holds_over_time_and_over_all_who_share_it() {
    let limiter = Limiter::new(Some(1_000_000));
    let start = Instant::now();
    let pour = |limiter: Limiter| async move {
        for _ in 0..100 {
            limiter.pass(10_000).await;
        }
    };
    tokio::join!(pour(limiter.clone()), pour(limiter.clone()));
    let taken = start.elapsed();
    assert!(
        taken > Duration::from_millis(1900) && taken < Duration::from_millis(2100),
        "{taken:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_time_is_not_saved_up() {
    let limiter = Limiter::new(Some(1000));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let start = Instant::now();
    limiter.pass(1000).await;
    assert!(start.elapsed() > Duration::from_millis(900));
}

#[tokio::test(start_paused = true)]
async fn no_limit_is_no_wait() {
    let limiter = Limiter::new(None);
    let start = Instant::now();
    limiter.pass(usize::MAX).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(limiter.block(), FREE_BLOCK);
    assert_eq!(Limiter::new(Some(1)).block(), 1024);
    assert_eq!(Limiter::new(Some(1_000_000)).block(), 50_000);
}
