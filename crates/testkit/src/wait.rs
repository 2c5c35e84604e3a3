use std::time::Duration;

use tokio::time::Instant;

/// Calls `probe` until it has an answer, and returns that answer.
///
/// The bound only says when to give up. Make it generous, since it costs nothing in a test that
/// passes. It may cut off one call of `probe`.
///
/// # Panics
/// Panics with "{what} did not happen within …" when there is no answer within the bound.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    bound: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let called_at = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + bound;
        let mut pause = Duration::from_millis(5);
        let probing = async {
            loop {
                if let Some(answer) = probe().await {
                    return answer;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
        };
        match tokio::time::timeout_at(deadline, probing).await {
            Ok(answer) => answer,
            Err(_) => panic!("{what} did not happen within {bound:?} (waited at {called_at})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_first_answer() {
        let mut asked = 0;
        let answer = eventually("the third time", Duration::from_secs(5), async || {
            asked += 1;
            (asked == 3).then_some("here")
        });
        assert_eq!(answer.await, "here");
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "the impossible did not happen within 50ms")]
    async fn gives_up_at_the_bound() {
        eventually("the impossible", Duration::from_millis(50), async || {
            None::<()>
        })
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "an answer did not happen")]
    async fn hanging_probe_is_cut_off_at_the_bound() {
        eventually("an answer", Duration::from_millis(50), async || {
            std::future::pending::<Option<()>>().await
        })
        .await;
    }
}
