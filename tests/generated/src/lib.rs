//! Compiles what weft-build makes of protos as they are found in the field.

weft_sdk::clients!();

#[cfg(test)]
mod data_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sdk::prost::Message;

    #[test]
    fn requests_need_no_types() {
        drop(boxes::v1::Boxes::get_box(Default::default()));
        drop(boxes::v1::Boxes::list_boxes(()));
        // One that is used again is lent.
        let request = boxes::v1::GetBoxRequest { id: "a".to_owned() };
        let _ = [boxes::v1::Boxes::GET_BOX.call(&request), boxes::v1::Boxes::GET_BOX.call(&request)];
    }

    #[test]
    fn names_that_are_one_in_rust_are_told_apart() {
        use greet::v1::{Greeter, Hello};
        let _ = [Greeter::say_hello(Hello::default()), Greeter::say_hello_2(Hello::default())];
        assert_eq!(Greeter::SAY_HELLO.name(), "greet.v1.Greeter/SayHello");
        assert_eq!(Greeter::SAY_HELLO_2.name(), "greet.v1.Greeter/SAYHello");
        let card = old::v1::Card { first_name: Some("a".into()), first_name_2: Some("b".into()), r#type: 1 };
        assert_eq!(card.encode_to_vec(), b"\x0a\x01a\x12\x01b\x18\x01");
    }

    #[test]
    fn a_message_and_a_package_of_one_name_are_one_module() {
        use mesh::v1::{Net, net};
        let thread = net::Thread { length: 3 };
        let net = Net { knot: Some(net::Knot { at: "x".into() }), thread: Some(thread), status: None };
        assert_eq!(Net::decode(net.encode_to_vec().as_slice()).unwrap(), net);
    }

    #[test]
    fn what_is_written_is_whole() {
        use boxes::v1::{Box, Colour, Label, r#box::Lid};
        let label = Label { text: "l".into(), colour: Colour::Red.into() };
        let filled = Box {
            id: "a".into(),
            made: Some(weft_sdk::prost_types::Timestamp { seconds: 1, nanos: 2 }),
            labels: [("k".to_owned(), label.clone())].into(),
            inside: Some(std::boxed::Box::new(Box { lid: Some(Lid::None(true)), ..Box::default() })),
            lid: Some(Lid::Label(label)),
        };
        assert_eq!(Box::decode(filled.encode_to_vec().as_slice()).unwrap(), filled);
        let status = rpc::Status { code: rpc::Code::Cancelled.into(), message: "m".into() };
        assert_eq!(rpc::Statuses::GET_STATUS.name(), "rpc.Statuses/GetStatus");
        assert_eq!(rpc::Status::decode(status.encode_to_vec().as_slice()).unwrap(), status);
    }
}
