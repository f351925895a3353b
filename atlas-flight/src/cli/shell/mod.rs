//! `atlas query` on a terminal: statements as they are typed, with history.

mod command;
mod interrupt;
mod line;

use crate::cli::failure::{say, tell};
use crate::cli::results::Format;
use crate::cli::session::Session;
use crate::cli::{Failure, Output, statement};
use command::{Command, HELP};
use interrupt::Interrupt;
use line::Lines;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use std::io::Write;
use std::path::PathBuf;
use std::{env, fs};
use tokio::runtime::Runtime;

/// Rows of a result that are shown, unless another number is asked for.
const MOST_ROWS: usize = 100;

/// Lines of history that are kept.
const MOST_HISTORY: usize = 10_000;

/// A session on a terminal.
pub(crate) struct Shell {
    session: Session,
    format: Format,
    timing: bool,
    most_rows: Option<usize>,
    editor: Editor<Lines, FileHistory>,
    history: Option<PathBuf>,
    interrupt: Interrupt,
}

impl Shell {
    /// # Errors
    /// `Failed` where the terminal cannot be used.
    pub(crate) fn new(
        session: Session,
        format: Format,
        timing: bool,
        most_rows: Option<usize>,
    ) -> Result<Self, Failure> {
        let failed = |error: ReadlineError| Failure::failed(format!("the terminal: {error}"));
        let config = Config::builder().max_history_size(MOST_HISTORY).map_err(failed)?.build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Lines));
        let history = history_file();
        if let Some(file) = &history {
            // None yet, the first time.
            let _ = editor.load_history(file);
        }
        let most_rows = most_rows.or(Some(MOST_ROWS));
        let timing = timing || format == Format::Table;
        Ok(Shell { session, format, timing, most_rows, editor, history, interrupt: Interrupt::new()? })
    }

    /// Reads and executes statements until the end of input.
    ///
    /// # Errors
    /// `Failed` where the terminal fails. What a statement fails with is told, and the next one is read.
    pub(crate) fn run(mut self, runtime: &Runtime) -> Result<(), Failure> {
        tell("SQL ends with a semicolon; .help lists the other commands, Ctrl-D leaves");
        loop {
            match self.editor.readline("atlas> ") {
                Ok(text) => {
                    self.remember(&text);
                    match command::parse(&text) {
                        Some(Ok(Command::Quit)) => break,
                        Some(Ok(command)) => self.told(runtime, command),
                        Some(Err(message)) => say(message),
                        None => self.execute(runtime, &text),
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(Failure::failed(format!("the terminal: {error}"))),
            }
        }
        runtime.block_on(self.session.close());
        Ok(())
    }

    /// History is a convenience: where it cannot be kept, it is not.
    fn remember(&mut self, text: &str) {
        if self.editor.add_history_entry(text).unwrap_or(false)
            && let Some(file) = &self.history
        {
            let _ = self.editor.append_history(file);
        }
    }

    fn told(&mut self, runtime: &Runtime, command: Command) {
        match command {
            Command::Help => tell(HELP),
            Command::Timing(timing) => self.timing = timing,
            Command::Rows(most_rows) => self.most_rows = most_rows,
            Command::Tables => self.execute(
                runtime,
                "SELECT table_schema AS schema, table_name AS table FROM information_schema.tables \
                 WHERE table_schema <> 'information_schema' ORDER BY 1, 2",
            ),
            Command::Schema(table) => self.execute(runtime, &format!("DESCRIBE {table}")),
            Command::Quit => {}
        }
    }

    fn execute(&self, runtime: &Runtime, sql: &str) {
        let work = statements(self.session.clone(), sql.to_owned(), self.format, self.most_rows, self.timing);
        match self.interrupt.run(runtime, work) {
            Ok(()) | Err(Failure::BrokenPipe) => {}
            Err(Failure::Usage(message) | Failure::Failed(message)) => say(message),
        }
    }
}

async fn statements(
    session: Session,
    sql: String,
    format: Format,
    most_rows: Option<usize>,
    timing: bool,
) -> Result<(), Failure> {
    for parsed in statement::parse(&sql)? {
        let mut out = Output::stdout();
        let ran = statement::run(&session, parsed, format, most_rows, &mut out).await?;
        out.flush()?;
        if timing {
            tell(ran.summary());
        }
        if ran.has_more {
            tell("(there are more rows: .rows N or .rows all shows them)");
        }
    }
    Ok(())
}

/// Where history is kept: `$XDG_STATE_HOME/atlas/history`, by default under `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let folder = state.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".local/state")))?.join("atlas");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}
