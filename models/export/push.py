"""An exported folder to the hub."""

from __future__ import annotations

import re
from pathlib import Path

from dataio.schema import UserError

NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check(repository: str) -> None:
    """UserError before any work where the name is none or there is no token."""
    from huggingface_hub import get_token

    if not NAME.fullmatch(repository):
        raise UserError(f"push is {repository!r}: expected owner/name")
    if not get_token():
        raise UserError(
            f"no token to push to {repository} with: log in with `hf auth login`, or set HF_TOKEN"
        )


def push(folder: Path, repository: str) -> str:
    """Upload, making the repository (private) where there is none; its address."""
    from huggingface_hub import HfApi, errors

    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="A detector, its card and its self-test",
        )
    except (ValueError, *errors.HfHubHTTPError.__bases__) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the folder {folder} is complete, but was not uploaded to {repository}"
            f" ({reason[:200]}): hf upload {repository} {folder}"
        ) from error
    return f"{api.endpoint}/{repository}"
