//! Calls for a list, awaited as one.

use weft_sdk::prelude::*;
use weft_sdk::test::App;
use weft_sdk::{Endpoint, Plugin};

use crate::support::{METHODS, NEXT, Number, deliver, executor, next, run, step};

fn all(values: impl IntoIterator<Item = u32>) -> weft_sdk::CallAll<Number, Number> {
    NEXT.call_all(values.into_iter().map(|value| Number { value }))
}

async fn sum(values: Vec<u32>) -> u32 {
    all(values).await.all().unwrap().iter().map(|number| number.value).sum()
}

#[test]
fn they_leave_together_and_come_back_in_their_order() {
    let (values, exchanges) = run(executor(async {
        let first = all([5, 1, 3]).await.all().unwrap();
        let (sum, other) = join!(sum(vec![10, 20]), next(7));
        (first.iter().map(|number| number.value).collect::<Vec<_>>(), sum, other)
    }));
    assert_eq!(values, (vec![6, 2, 4], 32, 8));
    let seen: Vec<_> = exchanges.iter().map(|seen| (seen.values.clone(), seen.depths.clone())).collect();
    assert_eq!(seen, [(vec![5, 1, 3], vec![1, 1, 1]), (vec![10, 20, 7], vec![2, 2, 2])]);
}

#[test]
fn it_waits_for_the_last_one_and_depth_goes_on_from_there() {
    let mut executor = executor(async {
        let numbers = all([1, 2]).await;
        next(numbers.len() as u32).await
    });
    step(&mut executor).exchange();
    deliver(&mut executor, &[(1, 9)]);
    assert!(step(&mut executor).exchange().values.is_empty(), "one is still under way");
    deliver(&mut executor, &[(0, 9)]);
    let seen = step(&mut executor).exchange();
    assert_eq!((seen.values, seen.depths), (vec![2], vec![2]));
}

#[test]
fn of_an_empty_list_nothing_is_asked() {
    assert_eq!(run(executor(sum(Vec::new()))), (0, Vec::new()));
}

#[test]
fn dropped_it_cancels_what_has_left_and_takes_back_what_has_not() {
    let mut executor = executor(async {
        let mut slow = all([1, 2, 3]);
        weft_sdk::futures::select_biased! {
            _ = slow => {}
            _ = all([4]) => {}
        }
        drop(slow);
        drop(all([5]));
        next(6).await
    });
    assert_eq!(step(&mut executor).exchange().values, [1, 2, 3, 4]);
    deliver(&mut executor, &[(3, 0), (1, 0)]);
    let seen = step(&mut executor).exchange();
    assert_eq!((seen.values, seen.cancel), (vec![6], vec![0, 2]));
}

#[get("/list")]
async fn list() -> Result<String> {
    let results = all([1, 2, 3]).await;
    let found = results.clone().found().map(|list| list.len());
    let optional = results.clone().optional().map(|list| list.iter().map(Option::is_some).collect::<Vec<_>>());
    let all = results.all().map(|list| list.len());
    Ok(format!("{found:?} {optional:?} {all:?}"))
}

/// An app whose second call fails so.
fn app(endpoints: &'static [Endpoint], code: Code) -> App {
    let app = App::new(Plugin::new(endpoints, METHODS, &[]));
    app.backend(NEXT, move |request| match request.value {
        2 => Err(CallError::new(code, "two")),
        value => Ok(Number { value }),
    })
}

#[test]
fn each_fails_by_itself() {
    let told = |code| app(const { &[weft_endpoint_list::ENDPOINT] }, code).get("/list").send().text().to_owned();
    let two = |code: &str| {
        let name = "test.v1.Numbers/Next";
        format!("CallError(Parts {{ code: {code}, method: \"{name}\", message: \"two\", details: [] }})")
    };
    let gone = two("NotFound");
    assert_eq!(told(Code::NotFound), format!("Ok(2) Ok([true, false, true]) Err({gone})"));
    let down = two("Unavailable");
    assert_eq!(told(Code::Unavailable), format!("Err({down}) Ok([true, false, true]) Err({down})"));
    let wrong = two("InvalidArgument");
    assert_eq!(told(Code::InvalidArgument), format!("Err({wrong}) Err({wrong}) Err({wrong})"));
}
