//! The services over real sockets: what each method promises, what the control sees and does, how the process behaves.

#[cfg(test)]
mod catalog;
#[cfg(test)]
mod control;
#[cfg(test)]
mod data;
#[cfg(test)]
mod people;
#[cfg(test)]
mod process;
#[cfg(test)]
mod recommend;
#[cfg(test)]
mod reviews;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
