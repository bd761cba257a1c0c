//! Whoever asks pays for it, where the owner says so.

use bucket_config::RequestPayment;
use bucket_config::service::Payer;

use super::*;

#[test]
fn where_the_requester_pays_others_must_say_that_they_do_and_nobody_cannot() {
    let mut photos = Photos::new();
    photos.policy(ALLOW_ALL);
    let comes =
        |photos: &Photos, id: &str, pays| photos.ask(id, &Facts { pays, ..Facts::default() }, |scene| scene.is_paid_for());
    assert!(["bob", "nobody", "ada"].iter().all(|id| comes(&photos, id, false)));
    photos.set(RequestPayment { payer: Payer::Requester });
    for (id, silent, willing) in [("ada", true, true), ("root", true, true), ("bob", false, true), ("nobody", false, false)] {
        assert_eq!((comes(&photos, id, false), comes(&photos, id, true)), (silent, willing), "{id}");
    }
    assert!(photos.scene(&Identity::System, &Facts::default(), |scene| scene.is_paid_for()));
    photos.set(RequestPayment { payer: Payer::BucketOwner });
    assert!(comes(&photos, "bob", false) && comes(&photos, "nobody", false));
}
