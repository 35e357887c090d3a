//! The plugin that most integration tests drive: one endpoint for each thing that a plugin may do, or should not.
//!
//! [`own`] needs no backend; [`wild`] misbehaves; [`calls`] talks to backends.

weft_sdk::clients!();

mod calls;
mod own;
mod wild;

weft_sdk::plugin!(
    own::echo_get,
    own::echo_post,
    own::me,
    own::maybe,
    own::order,
    own::version,
    own::setting,
    own::cached,
    own::first,
    own::remember,
    own::clear,
    own::environment,
    own::logs,
    own::spans,
    own::headers,
    own::with_header,
    own::problem,
    own::waits,
    own::deadline,
    wild::wide_headers,
    wild::trap,
    wild::spin,
    wild::grow,
    wild::big,
    calls::page,
    calls::people,
    calls::my_people,
    calls::films,
    calls::unexcused,
    calls::outcome,
    calls::ungranted,
    calls::many,
    calls::two_ratings,
    calls::for_you,
    calls::list,
);
