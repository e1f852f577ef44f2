//! Is this XML answer whole? An interceptor that refuses one that was cut off.
//!
//! The SDK's XML parsers take what there is: an answer cut in the middle of a list parses as a shorter list without a paging
//! token, so load balancers would seem deleted.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Refuses 2xx answers whose body does not end in the closing tag of a `…Response`.
#[derive(Debug)]
pub(crate) struct WholeAnswers;

/// The answer ended early.
#[derive(Debug, thiserror::Error)]
#[error("the answer ends before its closing tag")]
pub(crate) struct CutOff;

impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "WholeAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // Whatever else came with a 2xx is for the parser to judge; an error's body loses nothing by being short.
        let cut = response.status().is_success() && response.body().bytes().is_some_and(|body| !is_whole(body));
        if cut { Err(CutOff.into()) } else { Ok(()) }
    }
}

/// Whether the body's last tag closes an element named `…Response`. No element inside an answer has such a name.
fn is_whole(body: &[u8]) -> bool {
    let Some(start) = body.iter().rposition(|byte| *byte == b'<') else { return false };
    let tag = body[start..].trim_ascii_end();
    tag.starts_with(b"</") && tag.ends_with(b"Response>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_answer_is_whole() {
        let body = b"<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet></DescribeSubnetsResponse>";
        assert!(is_whole(body));
        for cut in 0..body.len() {
            assert!(!is_whole(&body[..cut]), "cut at {cut}");
        }
    }

    #[test]
    fn white_space_at_the_end_is_no_cut() {
        assert!(is_whole(b"<?xml version=\"1.0\"?>\n<A:XResponse xmlns:A=\"u\"></A:XResponse>\r\n \n"));
    }
}
