//! Methods as numbers and bytes, and the macro that keeps callers and services from ever seeing them so.

use async_trait::async_trait;
use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::{CallContext, CallError, CallFault, NotApplied};

/// A method on the wire. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodId {
    pub service: u8,
    pub method: u8,
}

/// The service's answer, still as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Done(Bytes),
    Rejected(Bytes),
}

/// Carries one call to a service, wherever that is.
#[async_trait]
pub trait Caller: Send + Sync + 'static {
    async fn call(&self, method: MethodId, cx: CallContext, request: Bytes) -> Result<Reply, CallFault>;
}

#[async_trait]
impl<C: Caller + ?Sized> Caller for std::sync::Arc<C> {
    async fn call(&self, method: MethodId, cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
        (**self).call(method, cx, request).await
    }
}

/// Answers calls. A connection's peer is in `cx`; the role check has not been done yet.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    fn id(&self) -> u8;
    async fn handle(&self, method: u8, cx: CallContext, request: Bytes) -> Result<Reply, CallFault>;
}

pub fn encode_request<T: Encode<()>>(request: &T) -> Bytes {
    encode(request)
}

pub fn decode_request<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, CallFault> {
    minicbor::decode(bytes)
        .map_err(|error| CallFault::NotApplied(NotApplied::Refused(format!("request does not decode: {error}"))))
}

pub fn encode_reply<T: Encode<()>, R: Encode<()>>(outcome: Result<T, CallError<R>>) -> Result<Reply, CallFault> {
    match outcome {
        Ok(reply) => Ok(Reply::Done(encode(&reply))),
        Err(CallError::Rejected(rejection)) => Ok(Reply::Rejected(encode(&rejection))),
        Err(CallError::NotApplied(why)) => Err(CallFault::NotApplied(why)),
        Err(CallError::Unknown(why)) => Err(CallFault::Unknown(why)),
    }
}

pub fn decode_reply<T, R>(outcome: Result<Reply, CallFault>) -> Result<T, CallError<R>>
where
    T: for<'b> Decode<'b, ()>,
    R: for<'b> Decode<'b, ()>,
{
    // An answer that does not decode was still an answer: the call happened.
    let garbled = |error: minicbor::decode::Error| CallError::Unknown(format!("answer does not decode: {error}"));
    match outcome? {
        Reply::Done(bytes) => minicbor::decode(&bytes).map_err(garbled),
        Reply::Rejected(bytes) => Err(CallError::Rejected(minicbor::decode(&bytes).map_err(garbled)?)),
    }
}

fn encode<T: Encode<()>>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    #[expect(clippy::expect_used, reason = "a Vec takes every byte")]
    minicbor::encode(value, &mut bytes).expect("a Vec takes every byte");
    Bytes::from(bytes)
}

/// Declares a service: its trait, its client and its server.
///
/// ```text
/// rpc::service! {
///     /// The namespace.
///     pub trait Om = 1, client OmClient, server OmServer {
///         /// Hands out blocks for one object.
///         1 open_key(OpenKey) -> OpenedKey, rejects OpenKeyRejected, from [Gateway];
///     }
/// }
/// ```
///
/// A method is `async fn open_key(&self, cx: CallContext, request: OpenKey) -> Result<OpenedKey, CallError<OpenKeyRejected>>`.
/// The server refuses callers whose role is not listed and calls whose deadline has passed, before any work.
#[macro_export]
macro_rules! service {
    (
        $(#[$doc:meta])*
        pub trait $name:ident = $id:literal, client $client:ident, server $server:ident {
            $($(#[$method_doc:meta])* $number:literal $method:ident($request:ty) -> $reply:ty, rejects $rejection:ty, from [$($role:ident),* $(,)?];)*
        }
    ) => {
        $(#[$doc])*
        #[$crate::async_trait]
        pub trait $name: Send + Sync + 'static {
            $($(#[$method_doc])*
            async fn $method(&self, cx: $crate::CallContext, request: $request) -> Result<$reply, $crate::CallError<$rejection>>;)*
        }

        #[doc = concat!("[`", stringify!($name), "`] over a connection.")]
        #[derive(Debug, Clone)]
        pub struct $client<C>(pub C);

        #[$crate::async_trait]
        impl<C: $crate::Caller> $name for $client<C> {
            $(async fn $method(&self, cx: $crate::CallContext, request: $request) -> Result<$reply, $crate::CallError<$rejection>> {
                let method = $crate::MethodId { service: $id, method: $number };
                let request = $crate::macro_support::encode_request(&request);
                $crate::macro_support::decode_reply(self.0.call(method, cx, request).await)
            })*
        }

        #[doc = concat!("Exposes a [`", stringify!($name), "`] to connections.")]
        #[derive(Debug)]
        pub struct $server<T: ?Sized>(pub std::sync::Arc<T>);

        #[$crate::async_trait]
        impl<T: $name + ?Sized> $crate::Service for $server<T> {
            fn id(&self) -> u8 { $id }

            async fn handle(&self, method: u8, cx: $crate::CallContext, request: $crate::macro_support::Bytes)
                -> Result<$crate::Reply, $crate::CallFault>
            {
                if cx.is_over() {
                    return Err($crate::CallFault::NotApplied($crate::NotApplied::TooLate));
                }
                match method {
                    $($number => {
                        if !cx.peer.is_one_of(&[$($crate::PeerRole::$role),*]) {
                            let why = format!("{:?} may not call {}::{}", cx.peer, stringify!($name), stringify!($method));
                            return Err($crate::CallFault::NotApplied($crate::NotApplied::Refused(why)));
                        }
                        let request = $crate::macro_support::decode_request(&request)?;
                        $crate::macro_support::encode_reply(self.0.$method(cx, request).await)
                    })*
                    _ => Err($crate::CallFault::NotApplied($crate::NotApplied::Refused(
                        format!("{} has no method {method}", stringify!($name))))),
                }
            }
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares what an api package exports")]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::{Never, Peer, PeerRole};
    use types::RequestId;

    service! {
        /// Doubles small numbers.
        pub trait Doubler = 9, client DoublerClient, server DoublerServer {
            /// Twice the number, if it is small.
            1 double(u32) -> u32, rejects u32, from [Gateway];
            2 nothing(()) -> (), rejects Never, from [];
        }
    }

    struct Small;

    #[async_trait]
    impl Doubler for Small {
        async fn double(&self, _: CallContext, request: u32) -> Result<u32, CallError<u32>> {
            if request < 100 { Ok(request * 2) } else { Err(CallError::Rejected(request)) }
        }
        async fn nothing(&self, _: CallContext, (): ()) -> Result<(), CallError<Never>> {
            Ok(())
        }
    }

    /// Straight from client to server, as the peer given.
    struct Direct(DoublerServer<Small>, Peer);

    #[async_trait]
    impl Caller for Direct {
        async fn call(&self, method: MethodId, cx: CallContext, request: Bytes) -> Result<Reply, CallFault> {
            assert_eq!(method.service, self.0.id());
            self.0.handle(method.method, CallContext { peer: self.1.clone(), ..cx }, request).await
        }
    }

    fn as_peer(role: PeerRole) -> DoublerClient<Direct> {
        DoublerClient(Direct(DoublerServer(Arc::new(Small)), Peer::Node { role, name: "n1".into() }))
    }

    fn cx() -> CallContext {
        CallContext::local(RequestId::from_u128(1), Duration::from_secs(5))
    }

    #[tokio::test]
    async fn a_call_brings_back_the_reply_or_the_typed_rejection() {
        let client = as_peer(PeerRole::Gateway);
        assert_eq!(client.double(cx(), 21).await, Ok(42));
        assert_eq!(client.double(cx(), 100).await, Err(CallError::Rejected(100)));
    }

    #[tokio::test]
    async fn a_role_that_is_not_listed_is_refused_before_any_work() {
        let client = as_peer(PeerRole::Datanode);
        assert!(matches!(client.double(cx(), 1).await, Err(CallError::NotApplied(NotApplied::Refused(_)))));
        assert!(matches!(client.nothing(cx(), ()).await, Err(CallError::NotApplied(NotApplied::Refused(_)))));
    }

    #[tokio::test]
    async fn a_call_whose_deadline_has_passed_is_not_begun() {
        let late = CallContext::local(RequestId::from_u128(1), Duration::ZERO);
        assert_eq!(as_peer(PeerRole::Gateway).double(late, 1).await, Err(CallError::NotApplied(NotApplied::TooLate)));
    }
}
