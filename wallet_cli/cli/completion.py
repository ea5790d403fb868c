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
    """An install into the system puts the same scripts where shells look for them. After one by pipx or uv, or into a
    virtual environment, put what this prints where yours looks.

    Examples:
        wallet completion bash > ~/.local/share/bash-completion/completions/wallet
        wallet completion zsh > ~/.zfunc/_wallet    # a folder of $fpath
        wallet completion fish > ~/.config/fish/completions/wallet.fish
    """
    return Document([(FOLDER / SCRIPTS[shell]).read_text("utf-8")])
