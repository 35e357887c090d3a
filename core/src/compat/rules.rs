//! The table of rules.

/// `Name "id" breaks|keeps "what changed" "why" "what to do";`
macro_rules! rules {
    ($($(#[$note:meta])* $name:ident $id:literal $weight:ident $what:literal $why:literal $advice:literal;)*) => {
        /// One kind of change: what it is called, whether apps that are out break by it, and why.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[$note])* $name),* }

        impl Rule {
            pub const ALL: &'static [Rule] = &[$(Rule::$name),*];

            /// As it stands in answers and documents.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// Whether apps built against the old document may fail with the new one.
            pub fn breaks(self) -> bool {
                match self { $(Self::$name => rules!(@$weight)),* }
            }

            /// What changed, in words.
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }

            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why),* }
            }

            /// What a frontend developer does about it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),* }
            }
        }
    };
    (@breaks) => { true };
    (@keeps) => { false };
}

rules! {
    BasePathChanged "base-path-changed" breaks "all paths begin otherwise" "apps ask where nobody answers" "change the base URL of the client, and keep the old one until the last app is updated";
    EndpointRemoved "endpoint-removed" breaks "an endpoint is gone" "apps that call it get 404" "call what takes its place before this goes out; ask for a deprecation first";
    EndpointAdded "endpoint-added" keeps "an endpoint is new" "nobody calls it yet" "generate the client anew to call it";
    EndpointDeprecated "endpoint-deprecated" keeps "an endpoint is deprecated" "it still answers" "move away before its sunset";
    EndpointRestored "endpoint-restored" keeps "an endpoint is deprecated no more" "it answers as before" "nothing";
    OperationRenamed "operation-renamed" keeps "an endpoint's `operationId` changed" "requests don't have it; generated functions are called by it" "rename the call when you generate the client anew";
    PathParameterRenamed "path-parameter-renamed" keeps "a parameter of the path has another name" "URLs look the same" "rename the argument when you generate the client anew";

    AuthTightened "auth-tightened" breaks "it takes more than before to be let in: a token, or another scope" "callers without it get 401 or 403" "send a token with these scopes";
    AuthRelaxed "auth-relaxed" keeps "it takes less than before to be let in" "whoever was let in still is" "nothing";
    IdempotencyRemoved "idempotency-removed" breaks "a write takes no `idempotency-key` any more" "a request that is sent again does its work twice" "stop sending this request again by itself";
    IdempotencyAdded "idempotency-added" keeps "a write takes an `idempotency-key`" "requests without one go on as before" "send a key, and send again after a failure";

    ParameterAddedRequired "parameter-added-required" breaks "there is a new parameter that must be sent" "apps don't send it and get 400" "send it";
    ParameterAdded "parameter-added" keeps "there is a new parameter that may be sent" "without it all is as before" "nothing";
    ParameterRemoved "parameter-removed" breaks "a parameter is gone" "what apps ask for by it is ignored or refused" "find out what takes its place";
    ParameterRequired "parameter-required" breaks "a parameter must be sent now" "apps that leave it out get 400" "send it always";
    ParameterOptional "parameter-optional" keeps "a parameter may be left out now" "apps that send it are still understood" "nothing";
    ParameterWritten "parameter-written-otherwise" breaks "a parameter is written in another way (`style`, `explode`, media type)" "what apps send is read as something else" "write it in the new way";
    ParameterDeprecated "parameter-deprecated" keeps "a parameter is deprecated" "it still works" "stop sending it before it goes";

    BodyRequired "body-required" breaks "a body must be sent now" "apps that send none get 400" "send one";
    BodyOptional "body-optional" keeps "a body may be left out now" "apps that send one are still understood" "nothing";
    BodyAdded "body-added" keeps "a body may be sent now" "requests without one go on as before" "nothing";
    BodyRemoved "body-removed" breaks "no body is read any more" "what apps send is ignored or refused" "find out where its content goes now";
    RequestMediaRemoved "request-media-type-removed" breaks "a media type of the body is taken no more" "apps that send it get 415" "send one of those that are left";
    RequestMediaAdded "request-media-type-added" keeps "another media type of the body is taken" "the others still are" "nothing";

    RequestFieldAddedRequired "request-field-added-required" breaks "there is a new field that must be sent" "apps don't send it and get 400" "send it";
    RequestFieldAdded "request-field-added" keeps "there is a new field that may be sent" "without it all is as before" "nothing";
    RequestFieldRemoved "request-field-removed" breaks "a field of the request is gone" "what apps send in it is lost, or refused" "find out what takes its place";
    RequestFieldRequired "request-field-required" breaks "a field must be sent now" "apps that leave it out get 400" "send it always";
    RequestFieldOptional "request-field-optional" keeps "a field may be left out now" "apps that send it are still understood" "nothing";
    RequestTypeNarrowed "request-type-narrowed" breaks "a value of the request may be of fewer types, or is of another" "what apps send is refused" "send one of the types that are left";
    RequestTypeWidened "request-type-widened" keeps "a value of the request may be of more types" "what apps send still fits" "nothing";
    RequestNullRefused "request-null-refused" breaks "null is taken no more" "apps that send it get 400" "leave the field out, or send a value";
    RequestNullAllowed "request-null-allowed" keeps "null may be sent" "values still may" "nothing";
    RequestValueRemoved "request-value-removed" breaks "one of the listed values is taken no more" "apps that send it get 400" "send another one";
    RequestValueAdded "request-value-added" keeps "one more value may be sent" "the others still may" "nothing";
    RequestBoundTightened "request-bound-tightened" breaks "a bound, format or pattern is tighter, or is another" "some of what apps send is refused" "check it before you send it";
    RequestBoundRelaxed "request-bound-relaxed" keeps "a bound, format or pattern lets more through" "what apps send still fits" "nothing";
    RequestVariantRemoved "request-variant-removed" breaks "one of several shapes is taken no more" "apps that send it get 400" "send one of the others";
    RequestVariantAdded "request-variant-added" keeps "one more shape may be sent" "the others still may" "nothing";
    RequestClosed "request-closed" breaks "fields that nobody has declared are refused now" "apps that send more than is asked for get 400" "send what is declared, and nothing else";
    RequestOpened "request-opened" keeps "fields that nobody has declared are let through" "apps send none" "nothing";
    RequestDefaultChanged "request-default-changed" breaks "what is taken for a value that is left out is another" "apps that leave it out get something else" "send the value that you mean";
    RequestUnclear "request-unclear" breaks "rules of the request changed that can't be compared (`not`, `if`, …)" "nobody can say that what apps send still fits" "read both documents there";

    StatusAdded "success-status-added" breaks "a request that goes well may have another status" "apps that go by the status don't know it" "handle it";
    StatusRemoved "success-status-removed" breaks "a status of success never comes any more" "apps wait for it" "handle what comes instead";
    ProblemStatusAdded "problem-status-added" keeps "there is one more status of failure" "apps have to expect failures of any status, and treat those they don't know by their class (4xx, 5xx)" "handle it if you have something better to show";
    ProblemStatusRemoved "problem-status-removed" keeps "a status of failure never comes any more" "what never comes breaks nothing" "remove what handles it";
    ProblemTypeAdded "problem-type-added" keeps "there is one more type of problem" "apps treat types that they don't know by the status" "handle it if you have something better to show";
    ProblemTypeRemoved "problem-type-removed" keeps "a type of problem never comes any more" "what never comes breaks nothing" "remove what handles it";
    ResponseBodyRemoved "response-body-removed" breaks "an answer has no body any more" "apps read it" "find out where its content is now";
    ResponseBodyAdded "response-body-added" keeps "an answer has a body now" "apps don't read it" "nothing";
    ResponseMediaRemoved "response-media-type-removed" breaks "an answer never has this media type any more" "apps that ask for it get 406, or what they can't read" "ask for one of those that are left";
    ResponseMediaAdded "response-media-type-added" keeps "an answer may have one more media type" "it comes to those who ask for it" "nothing";
    ResponseHeaderRemoved "response-header-removed" breaks "a header of an answer is gone, or may be missing now" "apps read it" "do without it";
    ResponseHeaderAdded "response-header-added" keeps "an answer has one more header" "apps don't read it" "nothing";

    ResponseFieldAdded "response-field-added" keeps "there is a new field in an answer" "apps pass over fields that they don't know" "generate the client anew to read it";
    ResponseFieldRemoved "response-field-removed" breaks "a field of an answer is gone" "apps show what is in it" "do without it before this goes out; ask for a deprecation first";
    ResponseFieldOptional "response-field-optional" breaks "a field that was always there may be missing" "apps read it without looking" "handle its absence";
    ResponseFieldRequired "response-field-required" keeps "a field is always there now" "apps that look first find it" "nothing";
    ResponseTypeWidened "response-type-widened" breaks "a value of an answer may be of more types, or is of another" "apps can't read it" "handle the new type";
    ResponseTypeNarrowed "response-type-narrowed" keeps "a value of an answer is of fewer types" "apps know all that are left" "nothing";
    ResponseNullAdded "response-null-added" breaks "a value of an answer may be null" "apps use it without looking" "handle null";
    ResponseNullRemoved "response-null-removed" keeps "a value of an answer is never null any more" "apps that look first find a value" "nothing";
    ResponseValueAdded "response-value-added" breaks "there is one more of the listed values" "apps that go by the value don't know it" "handle it; better, handle unknown values somehow";
    ResponseValueRemoved "response-value-removed" keeps "one of the listed values never comes any more" "what never comes breaks nothing" "remove what handles it";
    ResponseBoundRelaxed "response-bound-relaxed" breaks "a bound, format or pattern of an answer lets more through, or is another" "apps may have relied on it: a number that fits, a date that parses" "handle what may come now";
    ResponseBoundTightened "response-bound-tightened" keeps "a bound, format or pattern of an answer is tighter" "apps know all that may still come" "nothing";
    ResponseVariantAdded "response-variant-added" breaks "there is one more shape of a value" "apps don't know it" "handle it; better, handle unknown shapes somehow";
    ResponseVariantRemoved "response-variant-removed" keeps "one of several shapes never comes any more" "what never comes breaks nothing" "remove what handles it";
    ResponseUnclear "response-unclear" breaks "rules of an answer changed that can't be compared (`not`, `if`, …)" "nobody can say that apps know all that may come" "read both documents there";
    FieldDeprecated "field-deprecated" keeps "a field is deprecated" "it is still there" "do without it before it goes";
}
