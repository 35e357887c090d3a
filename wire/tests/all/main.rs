//! All tests of `weft-wire`. `requests` and `replies` show the wire rules one by one; `kinds`, `backend` and `hostile` hold
//! the promises against prost, which plays the backend.

#[cfg(test)]
mod backend;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod support;
