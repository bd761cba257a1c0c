//! Listings cost what they return.

mod common;

use common::*;
use om_api::*;
use tempfile::TempDir;

const KEYS: usize = 100_000;
const PREFIXES: usize = 10;
/// Writers at once: the more there are, the more share a sync.
const TASKS: usize = 500;
/// What a call looks up besides: the credential, the bucket, display names.
const LOOKED_UP: u64 = 10;

async fn node_with_keys() -> (TempDir, Node, Requester) {
    let dir = TempDir::new().expect("a folder");
    let node = Node::start(dir.path()).await;
    let ada = node.ensure("ada", false).await;
    node.create_bucket(&ada, "photos").await;
    let node = std::sync::Arc::new(node);
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (node, ada) = (std::sync::Arc::clone(&node), ada.clone());
        tasks.push(tokio::spawn(async move {
            for n in (task..KEYS).step_by(TASKS) {
                let name = format!("{}/{n:06}", n % PREFIXES);
                let open = OpenKey {
                    by: ada.clone(),
                    bucket: bucket("photos"),
                    key: key(&name),
                    size: Some(0),
                    condition: WriteCondition::Always,
                    locks: false,
                    encryption: None,
                    storage_class: None,
                    appends_to: None,
                };
                let opened = node.om.open_key(cx(), open).await.expect("may be written");
                node.om.commit_key(cx(), commit(&ada, &opened, "photos", &name, 0)).await.expect("a good commit");
            }
        }));
    }
    for task in tasks {
        task.await.expect("does not panic");
    }
    let node = std::sync::Arc::into_inner(node).expect("the tasks have ended");
    (dir, node, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cost_their_entries_and_a_delimiter_costs_its_prefixes() {
    let (_dir, node, ada) = node_with_keys().await;

    // From disk: what lies in memory is not counted.
    node.machine.digest().expect("readable");
    let grouped = ListKeys { delimiter: Some("/".into()), ..list(&ada, "photos") };
    let before = node.machine.scan_stats();
    let page = node.om.list_keys(cx(), grouped).await.expect("may be listed");
    let after = node.machine.scan_stats();
    assert_eq!(page.entries.len(), PREFIXES);
    assert_eq!((page.next, page.seeks), (None, PREFIXES as u64 + 1));
    assert!(after.seeks - before.seeks <= page.seeks + LOOKED_UP, "{before:?} {after:?}");
    // A jump steps over a few rows before it descends the tree, in case its target is near.
    assert!(after.rows - before.rows <= 16 * (page.seeks + LOOKED_UP), "{before:?} {after:?}");

    let (mut seen, mut pages, mut start) = (0, 0, Some(ListStart::Beginning));
    while let Some(at) = start {
        let page = node.om.list_keys(cx(), ListKeys { start: at, ..list(&ada, "photos") }).await.expect("may be listed");
        assert_eq!(page.seeks, 1);
        seen += page.entries.len();
        pages += 1;
        start = page.next;
    }
    assert_eq!((seen, pages), (KEYS, KEYS / 1_000));
    node.stop().await;
}
