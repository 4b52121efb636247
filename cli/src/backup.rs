//! `osier export` and `osier import`: what a directory holds, as a drop, and the way back. Neither needs a relay.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use osier::{
    Node, NodeOptions,
    node::{Area, DropExport, DropProgress, EntriesOptions, ImportProgress, Lock, NamespaceId, StorageOptions},
};

use crate::{
    failure::{Failure, Outcome},
    text,
};

/// How many bytes of a drop are read from its file at once.
const PIECE: usize = 256 * 1024;

#[derive(Args)]
pub(crate) struct Export {
    /// Directory with the data, as given to `osier peer --data`.
    #[arg(long, value_name = "DIR")]
    data: String,
    /// Which space, in hex; needed unless the directory has the rights to one and no more. A space that was only imported is named here.
    #[arg(long, value_name = "SPACE")]
    space: Option<String>,
    /// Only entries below this path.
    #[arg(long, default_value = "")]
    path: String,
    /// File to write, which must not be there yet; `-` for standard output.
    file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Import {
    /// Directory to read the drop into, made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: String,
    /// File to read; `-` for standard input.
    file: PathBuf,
}

async fn open(place: String) -> Outcome<Node> {
    let storage = StorageOptions::Durable { place, lock: Lock::Fail };
    Ok(Node::open(NodeOptions { storage, ..NodeOptions::default() }).await?)
}

/// Writes a drop.
pub(crate) async fn export(options: Export) -> Outcome {
    let mut area = Area::full();
    area.set_path(text::path_from_text(&options.path)?);
    if !Path::new(&options.data).is_dir() {
        return Err(Failure::new(format!("{}: no such directory", options.data)));
    }
    let node = open(options.data).await?;
    let outcome = export_to(&node, options.space.as_deref(), area, &options.file).await;
    node.shutdown().await;
    let DropProgress { entries, without_payload, bytes } = outcome?;
    eprintln!("{entries} entries, {bytes} bytes");
    if without_payload > 0 {
        eprintln!("{without_payload} payloads are not here and not in the drop");
    }
    Ok(())
}

async fn export_to(node: &Node, space: Option<&str>, area: Area, file: &Path) -> Outcome<DropProgress> {
    let mut export = node.export_drop(chosen(node, space).await?, area);
    if is_stream(file) {
        let mut output = std::io::stdout();
        copy(&mut export, &mut output).await?;
        output.flush()?;
        return Ok(export.progress());
    }
    let mut output = File::create_new(file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let copied = copy(&mut export, &mut output).await;
    if let Err(failure) = copied.and_then(|()| Ok(output.sync_all()?)) {
        // A part of a drop is of no use, and must not be taken for all of it.
        let _ = std::fs::remove_file(file);
        return Err(failure);
    }
    Ok(export.progress())
}

async fn copy(export: &mut DropExport, output: &mut impl Write) -> Outcome {
    while let Some(piece) = export.next().await {
        output.write_all(&piece?)?;
    }
    Ok(())
}

/// The space that is meant.
async fn chosen(node: &Node, space: Option<&str>) -> Outcome<NamespaceId> {
    let mut known: Vec<NamespaceId> = node.namespaces().await?.into_iter().map(|known| known.id).collect();
    if let Some(space) = space {
        let id = text::space_from_text(space)?;
        let held =
            known.contains(&id) || node.entries(id.clone(), Area::full(), EntriesOptions::default()).next().await.transpose()?.is_some();
        return if held { Ok(id) } else { Err(Failure::new(format!("--space: {space} is not here"))) };
    }
    match (known.pop(), known.as_slice()) {
        (Some(only), []) => Ok(only),
        (None, _) => Err(Failure::new("there are rights to no space here: name one with --space")),
        (Some(last), others) => {
            let names: Vec<String> = others.iter().chain([&last]).map(|id| text::hex(id.as_bytes())).collect();
            Err(Failure::new(format!("--space: there are several: {}", names.join(", "))))
        }
    }
}

fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// Reads a drop.
pub(crate) async fn import(options: Import) -> Outcome {
    let mut input: Box<dyn Read> = if is_stream(&options.file) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&options.file).map_err(|error| Failure::new(format!("{}: {error}", options.file.display())))?)
    };
    let node = open(options.data).await?;
    let outcome = import_from(&node, &mut input).await;
    node.shutdown().await;
    let ImportProgress { inserted, skipped, bytes } = outcome?;
    eprintln!("{inserted} entries are new, {skipped} were skipped, {bytes} bytes");
    Ok(())
}

async fn import_from(node: &Node, input: &mut dyn Read) -> Outcome<ImportProgress> {
    let mut import = node.import_drop();
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        Read::take(&mut *input, PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(import.finish().await?);
        }
        import.push(piece).await?;
    }
}
