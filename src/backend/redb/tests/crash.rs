//! A process that dies, or a machine that loses its power, after any single thing that is done to the disk.

use osier_core::store::Durability;

use super::{Contents, Plain, disk::Disk, script::script};

/// How many batches had begun, were acknowledged, and were so strictly, when so many things had been done to the disk.
#[derive(Clone, Copy, Default, Debug)]
struct Mark {
    acts: usize,
    begun: usize,
    acknowledged: usize,
    strictly: usize,
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What is on the disk, opened; and that it can be written to.
fn open(disk: &Disk) -> (Plain, Contents) {
    let mut plain = Plain::open(disk).unwrap();
    let contents = plain.contents();
    (plain, contents)
}

#[test]
fn durable_a_crash_after_any_act_leaves_whole_batches_and_everything_acknowledged() {
    let script = script(9);
    let disk = Disk::default();
    let mut plain = Plain::open(&disk).unwrap();
    let mut marks = vec![Mark::default()];
    let mut mark = Mark { acts: disk.acts_done(), ..Mark::default() };
    marks.push(mark);
    for (batch, _) in &script.steps {
        mark.begun += 1;
        marks.push(Mark { acts: disk.acts_done(), ..mark });
        plain.writer.commit(&plain.access, batch).unwrap();
        mark.acknowledged += 1;
        if batch.durability == Durability::Strict {
            mark.strictly = mark.acknowledged;
        }
        mark.acts = disk.acts_done();
        marks.push(mark);
    }
    plain.writer.close(&plain.access).unwrap();
    let acts = disk.acts();
    assert_eq!(acts.len(), disk.acts_done());

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut ends, mut lost) = (0, 0);
    for done in 0..=acts.len() {
        // What had begun by then, and what was acknowledged before.
        let begun = marks.iter().filter(|mark| mark.acts <= done).map(|mark| mark.begun).max().unwrap();
        let reached = marks.iter().rfind(|mark| mark.acts <= done).unwrap();
        let states: Vec<_> = (0..=begun).map(|steps| script.after(steps)).collect();
        let check = |disk: &Disk, least: usize, what: &str| {
            let (mut plain, contents) = open(disk);
            let found = states[least..].iter().position(|state| *state == contents).map(|behind| least + behind);
            let found = found.unwrap_or_else(|| panic!("{what} after act {done}: not a state between {least} and {begun}"));
            // It goes on from there, also over what the lost process left in the log, and once more.
            for (batch, state) in script.steps[found..].iter().take(2) {
                plain.writer.commit(&plain.access, batch).unwrap();
                drop(plain);
                plain = Plain::open(disk).unwrap();
                assert_eq!(plain.contents(), *state, "{what} after act {done}, going on");
            }
            found
        };
        let found = check(&Disk::after(&acts[..done]), reached.acknowledged, "killed");
        ends += usize::from(found == begun);
        for variant in 0..3 {
            let keeps = || variant != 0 && random.next() % 4 < variant + 1;
            let disk = Disk::after_power_loss(&acts[..done], keeps);
            lost += usize::from(check(&disk, reached.strictly, "without power") < reached.acknowledged);
        }
    }
    // It was worth looking: batches were lost with the power, and what had begun was often there after a kill.
    assert!(lost > 10 && ends > acts.len() / 4, "{lost} {ends} of {}", acts.len());
}
