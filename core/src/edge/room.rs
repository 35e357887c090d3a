//! What is said to whom there is no room for. Whose share is used up decides: a 429 is about what the one who asks has under way or
//! unread themselves, a 503 about everybody together.

use super::held::Over;
use crate::model::{Fault, ProblemType};
use http::{HeaderValue, Method, header};

/// Requests that are not answered yet.
pub(super) fn of_requests(over: Over) -> Fault {
    let Some(whose) = whose(over, "from this address", "on this connection") else { return full() };
    let text = format!(
        "as much of requests is under way {whose} as may be; wait for the answers of some, or send their bodies to an end"
    );
    too_much(ProblemType::TooMuchUnderWay, text)
}

/// Answers that have not been read, before anything is done for another one.
pub(super) fn of_answers(over: Over) -> Fault {
    let Some(whose) = whose(over, "this address", "this connection") else { return full() };
    let text = format!("{whose} has not read as much of its answers as the host keeps for one; read them first");
    too_much(ProblemType::TooMuchUnread, text)
}

/// The same, of the answer itself.
pub(super) fn of_answer(over: Over, method: &Method) -> Fault {
    let mut fault = of_answers(over);
    if !method.is_safe() {
        fault
            .problem
            .detail
            .push_str(". What this request asked for has been done, and only its answer could not be kept");
    }
    fault
}

/// There is no room for all, and no more than others have is held for who is new.
fn full() -> Fault {
    overloaded("there is no room for more than the requests that are under way".to_owned())
}

/// There is no room for all, and what is in question gives way.
pub(super) fn given_up(method: &Method) -> Fault {
    let text = "there is no room for all requests that are under way, and this one stood still for longest, or most is held for its caller";
    let doubt =
        if method.is_safe() { "" } else { ". What it asked for may have been done, if it was there as a whole" };
    overloaded(format!("{text}{doubt}"))
}

fn overloaded(text: String) -> Fault {
    let fault = Fault::new(ProblemType::Overloaded, text);
    fault.header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

fn whose(over: Over, address: &'static str, connection: &'static str) -> Option<&'static str> {
    match over {
        Over::Caller => Some(address),
        Over::Connection => Some(connection),
        Over::All => None,
    }
}

fn too_much(kind: ProblemType, text: String) -> Fault {
    Fault::new(kind, text).header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
