//! `apt-ci man`: writes the manual pages in `man/`, which `make install` installs.
//!
//! clap_mangen renders options and lists of commands. What it would do badly is done here: the text after the options,
//! of which it would make one paragraph, becomes a description and sections, and the global options are described on
//! one page.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::help;
use crate::ui::error::{CommandResult, ErrorContext as _};
use crate::ui::exit::ExitStatus;

/// Begins each text that roff renders. A page needs it once.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Name of the manual.
const MANUAL: &str = "apt-ci";
/// Width of a page on a terminal of 80 columns.
const PAGE_WIDTH: usize = 78;

/// Write the manual pages, one for each command
#[derive(clap::Args)]
pub struct ManArgs {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub fn run<C: CommandFactory>(args: &ManArgs) -> CommandResult<ExitStatus> {
    // Without the commit: the pages of a version stay the same.
    let mut command = help::complete(C::command()).version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    command.build();
    write_tree(&command, &[], &args.dir)?;
    Ok(ExitStatus::Success)
}

fn write_tree(command: &Command, parents: &[String], dir: &Path) -> CommandResult<()> {
    let path = dir.join(format!("{}.1", name(command)));
    let text = page(command, parents).context("cannot render a manual page")?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let parents: Vec<String> = parents.iter().cloned().chain([name(command).to_owned()]).collect();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_tree(subcommand, &parents, dir)?;
    }
    Ok(())
}

/// Returns the name of a command's page: `apt-ci-queues-show`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Returns the title of a page. It is shown at both ends of the first line, with the manual's name between them. For
/// long names there is only room without the beginning, which is that name.
fn title(name: &str) -> &str {
    let title = name.len() + "(1)".len();
    match name.strip_prefix("apt-ci-") {
        Some(short) if 2 * title + MANUAL.len() + 2 > PAGE_WIDTH => short,
        _ => name,
    }
}

/// Renders the page of a command, which has been built.
fn page(command: &Command, parents: &[String]) -> std::io::Result<String> {
    let is_root = parents.is_empty();
    let globals: Vec<String> = command
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
        .collect();
    let command = command.clone().mut_args(|argument| {
        let is_hidden = argument.is_hide_set() || (argument.is_global_set() && !is_root);
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        let aliases: String = aliases.iter().map(|alias| format!(" [alias: --{alias}]")).collect();
        let help = argument.get_help().map(|help| help.to_string().replace('`', "'") + &aliases);
        let argument = argument.hide(is_hidden);
        match help {
            Some(help) => argument.help(help),
            None => argument,
        }
    });
    let usage = command.clone().render_usage().to_string();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let (description, sections) = divided(&command.get_after_help().map(ToString::to_string).unwrap_or_default());
    let has_options = command.get_arguments().any(|argument| !argument.is_hide_set());
    let has_subcommands = command.get_subcommands().any(|subcommand| !subcommand.is_hide_set());
    let title = title(name(&command)).to_owned();
    // An empty date would be left out, and what follows would be in its place.
    let man =
        Man::new(command).date(" ").source(concat!("apt-ci ", env!("CARGO_PKG_VERSION"))).manual(MANUAL).title(title);

    let mut page = PREAMBLE.to_owned();
    page += &rendered(|out| man.render_title(out))?;
    page += &rendered(|out| man.render_name_section(out))?;
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for (number, line) in usage.trim_start_matches("Usage:").lines().enumerate() {
        if number > 0 {
            roff.control("br", []);
        }
        roff.text([bold(line.trim())]);
    }
    roff.control("SH", ["DESCRIPTION"]);
    roff.text(inlines(&format!("{about}.")));
    for block in description {
        add(&mut roff, &block);
    }
    page += &rendered(|out| roff.to_writer(out))?;
    if has_options {
        page += &rendered(|out| man.render_options_section(out))?;
    }
    if has_subcommands {
        page += &rendered(|out| man.render_subcommands_section(out))?;
    }
    let mut roff = Roff::new();
    if !is_root {
        roff.control("SH", ["GLOBAL OPTIONS"]);
        roff.text([
            roman("The options "),
            bold(globals.join(", ")),
            roman(" can be given to every command. They are described in "),
            bold("apt-ci"),
            roman("(1). Exit codes are described in "),
            bold("apt-ci"),
            roman("(1)."),
        ]);
    }
    for Section { title, lines } in sections {
        roff.control("SH", [title.as_str()]);
        add(&mut roff, &Block::Verbatim(lines));
    }
    if let Some((last, others)) = parents.split_last() {
        roff.control("SH", ["SEE ALSO"]);
        let reference = |name: &String, end: &str| [bold(name.clone()), roman(format!("(1){end}"))];
        let others = others.iter().flat_map(|name| reference(name, ", "));
        roff.text(others.chain(reference(last, "")).collect::<Vec<Inline>>());
    }
    page += &rendered(|out| roff.to_writer(out))?;
    Ok(page)
}

/// Returns what is rendered, without the preamble.
fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> std::io::Result<String> {
    let mut out = Vec::new();
    render(&mut out)?;
    let text = String::from_utf8(out).map_err(std::io::Error::other)?;
    Ok(text.strip_prefix(PREAMBLE).map_or_else(|| text.clone(), str::to_owned))
}

/// A part of a text between empty lines.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    /// Sentences, a paragraph or several.
    Text(Vec<String>),
    /// Lines whose spaces matter, such as a list of commands.
    Verbatim(Vec<String>),
}

/// A part of a text with a heading, such as examples.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    title: String,
    lines: Vec<String>,
}

/// Divides the text after the options into what describes the command, and sections.
fn divided(text: &str) -> (Vec<Block>, Vec<Section>) {
    let (mut description, mut sections) = (Vec::new(), Vec::new());
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let lines: Vec<String> = block.lines().map(str::to_owned).collect();
        match lines.split_first() {
            Some((heading, below))
                if heading.ends_with(':') && !below.is_empty() && below.iter().all(|line| line.starts_with("  ")) =>
            {
                let title = match heading.trim_end_matches(':') {
                    "Example" | "Examples" => "EXAMPLES".to_owned(),
                    "Exit codes" => "EXIT STATUS".to_owned(),
                    other => other.to_uppercase(),
                };
                let lines = below.iter().map(|line| line.chars().skip(2).collect()).collect();
                sections.push(Section { title, lines });
            }
            _ if lines.iter().any(|line| line.contains("   ")) => description.push(Block::Verbatim(lines)),
            _ => description.push(Block::Text(lines)),
        }
    }
    (description, sections)
}

fn add(roff: &mut Roff, block: &Block) {
    match block {
        Block::Text(lines) => {
            for line in lines {
                roff.control("PP", []);
                roff.text(inlines(line));
            }
        }
        Block::Verbatim(lines) => {
            roff.control("PP", []);
            roff.control("RS", ["4"]);
            roff.control("nf", []);
            for line in lines {
                roff.text([roman(line.replace('`', "'"))]);
            }
            roff.control("fi", []);
            roff.control("RE", []);
        }
    }
}

/// Returns a line in which what stands between backquotes is bold.
fn inlines(line: &str) -> Vec<Inline> {
    let parts = line.split('`').enumerate();
    parts.map(|(number, part)| if number % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_page_has_room_for_its_texts() {
        assert_eq!(title("apt-ci"), "apt-ci");
        assert_eq!(title("apt-ci-retry-regressions"), "apt-ci-retry-regressions");
        assert_eq!(title("apt-ci-credentials-recipients-confirm"), "credentials-recipients-confirm");
    }

    #[test]
    fn a_text_is_divided_into_a_description_and_sections() {
        let text = "It does this.\nIt does that.\n\nGET /x    something\n\nExamples:\n  apt-ci log gzip\n\nThe end.\n";
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
        let (description, sections) = divided(text);
        let expected = [
            Block::Text(owned(&["It does this.", "It does that."])),
            Block::Verbatim(owned(&["GET /x    something"])),
            Block::Text(owned(&["The end."])),
        ];
        assert_eq!(description, expected);
        assert_eq!(sections, [Section { title: "EXAMPLES".to_owned(), lines: owned(&["apt-ci log gzip"]) }]);
    }
}
