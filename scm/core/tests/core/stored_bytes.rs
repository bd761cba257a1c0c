//! The log and the tables of a release are read by every later one: these bytes may be added to, never changed.

use scm_core::command::*;
use scm_core::rows::*;
use tables::{decode, encode};
use types::{BlockId, ClusterId, ContainerId, DatanodeId, Endpoint, MemberId, PipelineId, Replication, Timestamp};

fn commands() -> Vec<Command> {
    let key = TokenKeyRow { secret: [7; 32], seals_from: Timestamp(1), seals_until: Timestamp(2), expires: Timestamp(3) };
    let (pipeline, container, datanode) = (PipelineId(4), ContainerId(5), DatanodeId(6));
    let authority = Some(Authority { sealed: vec![1, 2] });
    vec![
        Initialise { id: ClusterId::from_u128(9), now: Timestamp(1), authority, token_key: key.clone() }.into(),
        RegisterDatanode {
            id: Some(datanode),
            name: "dn1".into(),
            data_endpoint: Endpoint("h:1".into()),
            rpc_endpoint: Endpoint("h:2".into()),
            rack: Some("/r".into()),
            now: Timestamp(8),
        }
        .into(),
        CreatePipeline { replication: Replication::Three, members: vec![datanode] }.into(),
        OpenPipeline { pipeline }.into(),
        ClosePipeline { pipeline }.into(),
        RemovePipeline { pipeline }.into(),
        AllocateBlocks {
            shares: vec![
                SlotShare { slot: Slot::Container(container), count: 2 },
                SlotShare { slot: Slot::New(pipeline), count: 3 },
            ],
        }
        .into(),
        CloseContainers { containers: vec![container] }.into(),
        FinishContainers { containers: vec![FinishedContainer { container, sequence: 7, used: 8, blocks: 9 }] }.into(),
        NoteContainers { notes: vec![ContainerNote { container, used: 8, blocks: 9 }] }.into(),
        DropContainers { containers: vec![container] }.into(),
        AddTokenKey { after: Some(1), key, now: Timestamp(2) }.into(),
        DeleteBlocks { blocks: vec![BlockId { container, local: 3 }] }.into(),
        AcknowledgeDeletions { acknowledgements: vec![Acknowledgement { datanode, transactions: vec![1, 2] }] }.into(),
        FinishDeletions { transactions: vec![1] }.into(),
    ]
}

fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let datanode = DatanodeRow {
        name: "dn1".into(),
        data_endpoint: Endpoint("h:1".into()),
        rpc_endpoint: Endpoint("h:2".into()),
        rack: None,
        registration: 3,
        registered: Timestamp(4),
    };
    let member = Member { member: MemberId(8), datanode: DatanodeId(1) };
    let pipeline = PipelineRow { phase: PipelinePhase::Open, replication: Replication::One, members: vec![member] };
    let container = ContainerRow {
        phase: ContainerPhase::Closed,
        replication: Replication::Three,
        pipeline: PipelineId(2),
        members: vec![DatanodeId(1)],
        next_local: 100,
        was_reported: true,
        used: 5,
        blocks: 6,
        sequence: Some(7),
    };
    let deletion = DeletionRow { container: ContainerId(5), blocks: vec![1, 300], done: vec![DatanodeId(2)] };
    vec![
        ("cluster", encode(&ClusterRow { id: ClusterId::from_u128(9), created: Timestamp(1), authority: None })),
        ("counters", encode(&Counters::default())),
        ("datanode", encode(&datanode)),
        ("pipeline", encode(&pipeline)),
        ("container", encode(&container)),
        ("deletion", encode(&deletion)),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn commands_and_rows_are_stored_as_ever() {
    let commands = commands().iter().map(|command| format!("{} {}", name(command), hex(&encode(command)))).collect::<Vec<_>>();
    let rows = rows().into_iter().map(|(name, bytes)| format!("{name} {}", hex(&bytes)));
    let stored: Vec<String> = commands.into_iter().chain(rows).collect();
    let expected: Vec<&str> = include_str!("../../testdata/stored-1.txt").lines().collect();
    assert_eq!(stored, expected);
}

#[test]
fn stored_commands_read_back() {
    for command in commands() {
        assert_eq!(decode::<Command>(&encode(&command), "a command").expect("reads back"), command);
    }
}

fn name(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}
