//! The bytes of what is stored and logged, as releases wrote them: a change here is a change of the format.

use types::{ContainerId, DatanodeId, Endpoint, GroupId, MemberId, PipelineId};

use crate::command::{CommandAnswer, PipelineCommand, PutBlock};
use crate::record::{ContainerState, Salt};
use crate::rows::{BlockRow, BlockState, ContainerRow, Extent, GroupMember, GroupRow};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn block(state: BlockState) -> BlockRow {
    let extent = Extent { record: 4096, payload_at: 64, length: 1000 };
    BlockRow { state, length: 1000, index: 7, extents: vec![extent], sums: vec![1, 2, 3, 4] }
}

#[test]
fn rows() {
    assert_eq!(hex(&tables::encode(&block(BlockState::Stored))), "85001903e807818319100018401903e84401020304");
    assert_eq!(hex(&tables::encode(&block(BlockState::Missing))), "85021903e807818319100018401903e84401020304");
    assert_eq!(hex(&tables::encode(&BlockRow::tombstone())), "850300008040");
    let container =
        ContainerRow { state: ContainerState::Closed, is_damaged: true, ..ContainerRow::new(PipelineId(3), Salt([9; 16])) };
    assert_eq!(hex(&tables::encode(&container)), "89010300000000f51910005009090909090909090909090909090909");
    let member = GroupMember {
        member: MemberId(1),
        datanode: DatanodeId(2),
        rpc_endpoint: Endpoint("a:1".into()),
        data_endpoint: Endpoint("a:2".into()),
    };
    let group = GroupRow { group: GroupId(5), me: MemberId(1), members: vec![member], progress: vec![8], index: 6 };
    assert_eq!(hex(&tables::encode(&group)), "8505018184010263613a3163613a32410806");
}

#[test]
fn log_entries_and_their_answers() {
    let put = |content: Option<&'static [u8]>| {
        let sums: &'static [u8] = &[1, 2, 3, 4];
        let put =
            PutBlock { container: ContainerId(3), local: 9, length: 2, sums: sums.into(), content: content.map(Into::into) };
        hex(&tables::encode(&PipelineCommand::PutBlock(put)))
    };
    assert_eq!(put(Some(b"ab")), "820081850309024401020304426162");
    assert_eq!(put(None), "820081840309024401020304");
    assert_eq!(hex(&tables::encode(&PipelineCommand::CloseContainer(ContainerId(3)))), "82018103");
    let answers = [
        CommandAnswer::Done,
        CommandAnswer::Closed,
        CommandAnswer::Exists,
        CommandAnswer::Deleted,
        CommandAnswer::DiskFull,
        CommandAnswer::DiskFailed,
    ];
    let bytes: Vec<String> = answers.iter().map(|answer| hex(&tables::encode(answer))).collect();
    assert_eq!(bytes, ["00", "01", "02", "03", "04", "05"]);
}
