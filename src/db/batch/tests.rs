//! The writer, without a database: on one thread it runs when the test waits, so that a test decides what is waiting.

use super::*;

/// Requests that are written down, some of which have a will of their own.
#[derive(Default)]
struct Notes(Mutex<Vec<Vec<&'static str>>>);

impl Notes {
    fn written(&self) -> Vec<Vec<&'static str>> {
        self.0.lock().unwrap().clone()
    }
}

impl Statement for Arc<Notes> {
    type Request = &'static str;
    type Answer = String;

    async fn write(&self, batch: &[&'static str]) -> Result<Vec<Option<String>>, DbErr> {
        self.0.lock().unwrap().push(batch.to_vec());
        tokio::task::yield_now().await;
        assert!(!batch.contains(&"panic"), "as asked");
        if batch.contains(&"broken") {
            return Err(DbErr::Custom("broken".to_owned()));
        }
        if batch.contains(&"away") {
            return Err(DbErr::Conn(sea_orm::RuntimeErr::Internal("away".to_owned())));
        }
        let answer = |request: &&'static str| {
            (*request != "alone" || batch.len() == 1).then(|| format!("{request} of {}", batch.len()))
        };
        Ok(batch.iter().map(answer).collect())
    }
}

type Answered = oneshot::Receiver<Result<String, BatchError>>;

fn start(capacity: usize) -> (Arc<Notes>, Batcher<Arc<Notes>>) {
    let notes = Arc::new(Notes::default());
    (notes.clone(), Batcher::start(notes, capacity))
}

fn put(queue: &Queue<Arc<Notes>>, request: &'static str) -> Result<Answered, BatchError> {
    let (answer, answered) = oneshot::channel();
    queue.push(Waiting { request, answer }).map(|()| answered)
}

fn put_all(batcher: &Batcher<Arc<Notes>>, requests: &[&'static str]) -> Vec<Answered> {
    requests.iter().map(|request| put(&batcher.0, request).unwrap()).collect()
}

async fn answer(answered: Answered) -> String {
    match answered.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "nobody answers".to_owned(),
    }
}

async fn answers(answered: Vec<Answered>) -> Vec<String> {
    let mut answers = Vec::new();
    for answered in answered {
        answers.push(answer(answered).await);
    }
    answers
}

#[tokio::test]
async fn a_lone_request_is_written_at_once_and_those_that_wait_share_a_batch() {
    let (notes, batcher) = start(100);
    assert_eq!(batcher.ask("lone").await.unwrap(), "lone of 1");
    assert_eq!(answers(put_all(&batcher, &["a", "b", "c"])).await, ["a of 3", "b of 3", "c of 3"]);
    assert_eq!(notes.written(), [vec!["lone"], vec!["a", "b", "c"]]);
}

#[tokio::test]
async fn a_batch_has_a_bound() {
    let (notes, batcher) = start(2 * LARGEST);
    answers(put_all(&batcher, &["a"; LARGEST + 1])).await;
    assert_eq!(notes.written().iter().map(Vec::len).collect::<Vec<_>>(), [LARGEST, 1]);
}

#[tokio::test]
async fn a_request_that_fails_does_not_fail_its_neighbours() {
    let (notes, batcher) = start(100);
    let answers = answers(put_all(&batcher, &["a", "broken", "b"])).await;
    assert_eq!(answers, ["a of 1", "the database failed", "b of 1"]);
    assert_eq!(notes.written(), [vec!["a", "broken", "b"], vec!["a"], vec!["broken"], vec!["b"]]);
}

#[tokio::test]
async fn what_cannot_be_told_together_is_written_by_itself() {
    let (notes, batcher) = start(100);
    let answers = answers(put_all(&batcher, &["a", "alone", "b"])).await;
    assert_eq!(answers, ["a of 3", "alone of 1", "b of 3"]);
    assert_eq!(notes.written(), [vec!["a", "alone", "b"], vec!["alone"]]);
}

#[tokio::test]
async fn a_database_that_is_away_is_not_asked_again_for_each_request() {
    let (notes, batcher) = start(100);
    let together = answers(put_all(&batcher, &["a", "away", "b"])).await;
    assert_eq!(together, ["the database failed"; 3]);
    assert_eq!(notes.written().len(), 1);
    // Nor when it goes away while they are written one by one.
    let one_by_one = answers(put_all(&batcher, &["a", "broken", "away", "b"])).await;
    assert_eq!(one_by_one, ["a of 1", "the database failed", "the database failed", "the database failed"]);
    assert_eq!(notes.written()[1..].len(), 4, "{:?}", notes.written());
}

#[tokio::test]
async fn who_hangs_up_before_the_batch_is_made_has_asked_for_nothing() {
    let (notes, batcher) = start(2);
    let (first, second) = (put(&batcher.0, "a").unwrap(), put(&batcher.0, "b").unwrap());
    assert!(matches!(put(&batcher.0, "c"), Err(BatchError::Busy { retry_after_seconds: 1 })));
    drop(first);
    let third = put(&batcher.0, "c").unwrap();
    drop(second);
    assert_eq!(answer(third).await, "c of 1");
    assert_eq!(notes.written(), [vec!["c"]]);
}

#[tokio::test]
async fn a_full_queue_tells_when_to_come_again_at_the_pace_of_late() {
    let queue = Queue::<Arc<Notes>>::new(2 * LARGEST);
    let _waiting: Vec<_> = (0..2 * LARGEST).map(|_| put(&queue, "a").unwrap()).collect();
    let refused = || match put(&queue, "b") {
        Err(BatchError::Busy { retry_after_seconds }) => retry_after_seconds,
        _ => panic!("there was a place"),
    };
    // The batch that is being written, and two more.
    queue.lock().batch_time = Duration::from_millis(10);
    assert_eq!(refused(), 1);
    queue.lock().batch_time = Duration::from_millis(1_500);
    assert_eq!(refused(), 5);
    queue.lock().begun = Some(Instant::now().checked_sub(Duration::from_secs(2)).unwrap());
    assert!((6..=7).contains(&refused()));
}

#[tokio::test]
async fn a_panic_costs_its_batch_and_no_more() {
    let (_, batcher) = start(100);
    let (first, second) = (put(&batcher.0, "a").unwrap(), put(&batcher.0, "panic").unwrap());
    assert_eq!(answers(vec![first, second]).await, ["nobody answers"; 2]);
    assert_eq!(batcher.ask("b").await.unwrap(), "b of 1");
}

#[tokio::test]
async fn what_was_accepted_is_finished_and_then_the_writer_ends() {
    let notes = Arc::new(Notes::default());
    let queue = Arc::new(Queue::new(100));
    let (first, second) = (put(&queue, "a").unwrap(), put(&queue, "b").unwrap());
    drop(Batcher(queue.clone()));
    run(notes, queue).await;
    assert_eq!(answers(vec![first, second]).await, ["a of 2", "b of 2"]);
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_is_gone() {
    let queue = Arc::new(Queue::new(100));
    let waiting = put(&queue, "a").unwrap();
    let writer = run(Arc::new(Notes::default()), queue.clone());
    // Its first step is to wait inside the statement; there it is ended, as by a runtime that shuts down.
    let mut writer = Box::pin(writer);
    assert!(writer.as_mut().now_or_never().is_none());
    let behind = put(&queue, "b").unwrap();
    drop(writer);
    assert_eq!(answers(vec![waiting, behind]).await, ["nobody answers"; 2]);
    assert!(matches!(put(&queue, "c"), Err(BatchError::Ended)));
}
