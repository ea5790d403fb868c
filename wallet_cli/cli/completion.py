"""`wallet completion`: what a shell runs to complete commands. What it then asks is answered by completing.py."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wallet_cli.cli.output import Document

FOLDER = Path(__file__).parent.parent / "completion"


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


SCRIPTS = {Shell.bash: "wallet.bash", Shell.zsh: "_wallet", Shell.fish: "wallet.fish"}


ShellArgument = Annotated[Shell, typer.Argument(metavar="SHELL", help="The shell that you use.", show_default=False)]


def completion(shell: ShellArgument) -> Document:
    """An install by pipx, uv or pip puts the same scripts where the shells look for them, below the folder `share` of
    the environment. Where yours does not look there, have it run what this prints.

    Examples:
        eval "$(wallet completion bash)"            # in ~/.bashrc
        wallet completion zsh > ~/.zfunc/_wallet    # in a folder of $fpath
        wallet completion fish > ~/.config/fish/completions/wallet.fish
    """
    return Document([(FOLDER / SCRIPTS[shell]).read_text("utf-8")])
