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

    /// As docs of weft-build say: who comes first keeps the name, and the others get the first number that is free.
    #[test]
    fn types_oneofs_variants_and_values_that_are_one_in_rust_are_told_apart() {
        use alike::v1::{FooBar, FooBar2, FooBar3, Kind, Page, Pages, Pages2, foo_bar_2::Inner, page};
        let page = Page {
            foo_bar: Some("1".into()),
            foo_bar_2: Some("2".into()),
            foo_bar_3: Some(page::FooBar3::A2("4".into())),
            foo_bar_4: Some(page::FooBar4::B12(6)),
            state: Some(Kind::A.into()),
            set_state_2: Some(8),
            first: Some(FooBar { text: Some("9".into()) }),
            second: Some(FooBar2 { inner: Some(Inner { text: Some("10".into()) }) }),
            third: Some(FooBar3::FooBarNone.into()),
            kind: None,
            leaf: Some(page::Leaf2 { length: Some(13) }),
            other: Some(page::Leaf { name: "14".into() }),
            _2: Some(15),
        };
        assert_eq!(page.kind(), Kind::A3, "a value's new name is where it is a default, too");
        assert_eq!(Kind::A3.as_str_name(), "KIND__A");
        assert_eq!((Kind::from_str_name("KIND__A"), Kind::from_str_name("KIND_A2")), (Some(Kind::A3), Some(Kind::A2)));
        assert_eq!(Pages2::GET_PAGES.name(), "alike.v1.Pages/GetPages");

        let pages = Pages { page: vec![Page { kind: Some(Kind::A3.into()), ..page }] };
        let bytes = pages.encode_to_vec();
        assert_eq!(Pages::decode(bytes.as_slice()).unwrap(), pages);
        let json = weft_sdk::serde_json::to_value(&pages).unwrap();
        let page = &json["page"][0];
        for (name, value) in [("fooBar", "1"), ("fooBarTwo", "2"), ("A", "4"), ("kind", "KIND__A"), ("state", "KIND_A")]
        {
            assert_eq!(page[name], value, "{page}");
        }
        assert_eq!((&page["setState"], &page["leaf"]["length"]), (&8.into(), &13.into()), "{page}");
        let read: Pages = weft_sdk::serde_json::from_value(json).unwrap();
        assert_eq!(read, pages);
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
