"""Builds and runs images without a Docker engine: buildah as root, with a storage of its own.

Its chroot isolation runs the real programs of an image as the image's user. It makes no namespaces, drops no
capabilities and mounts nothing read-only: those promises of the compose file are checked as a document.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BUILD_LIMIT = 600.0
RUN_LIMIT = 120.0


class Buildah:
    """Images and containers in one folder."""

    def __init__(self, folder: Path) -> None:
        self._options = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]

    def base(self, name: str, root: Path) -> None:
        """Make an image out of a root file system (a tar), under the name that Dockerfiles know it by."""
        made = self._do("from", "scratch").strip()
        self._do("add", "--quiet", made, str(root), "/")
        self._do("commit", "--quiet", "--rm", made, f"docker.io/library/{name}")

    def build(
        self,
        name: str,
        dockerfile: Path,
        context: Path,
        secrets: Mapping[str, Path],
        folders: Sequence[Path] = (),
    ) -> None:
        """Run every step of the Dockerfile."""
        given = [f"--secret=id={key},src={path}" for key, path in secrets.items()]
        given += [f"--volume={folder}:{folder}:ro" for folder in folders]
        # The docker format: the other one has no place for health checks.
        how = ["--isolation=chroot", "--pull-never", "--format=docker", f"--tag={name}", f"--file={dockerfile}"]
        self._do("bud", *how, *given, str(context), limit=BUILD_LIMIT)

    def config(self, name: str) -> dict[str, Any]:
        """The image's settings: user, command, health check and the like."""
        config: dict[str, Any] = self.inspect(name)["Docker"]["config"]
        return config

    def inspect(self, name: str) -> dict[str, Any]:
        """All that is known about an image, its history included."""
        known: dict[str, Any] = json.loads(self._do("inspect", "--type", "image", name))
        return known

    def container(self, name: str, hosts: Mapping[str, str] | None = None) -> str:
        """A container of the image, which knows these hosts by name."""
        known = [f"--add-host={host}:{address}" for host, address in (hosts or {}).items()]
        return self._do("from", "--pull-never", *known, name).strip()

    def root(self, container: str) -> Path:
        """Where the container's files are."""
        return Path(self._do("mount", container).strip())

    def command(
        self,
        container: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        hostname: str = "container",
    ) -> list[str]:
        """The command line that runs a command in a container, as the image's user."""
        options = [f"--env={key}={value}" for key, value in (environment or {}).items()]
        options += [f"--volume={here}:{there}" for there, here in (mounts or {}).items()]
        options += ["--isolation=chroot", f"--hostname={hostname}"]
        return ["buildah", *self._options, "run", *options, container, "--", *command]

    def run(self, container: str, *command: str, **given: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, to its end."""
        line = self.command(container, command, **given)
        return subprocess.run(line, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)

    def layers(self, name: str, folder: Path) -> list[Path]:
        """The image's layers, as tars, compressed or not."""
        self._do("push", "--quiet", name, f"dir:{folder}")
        manifest = json.loads((folder / "manifest.json").read_text())
        return [folder / layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]

    def _do(self, *words: str, limit: float = RUN_LIMIT) -> str:
        done = subprocess.run(
            ["buildah", *self._options, *words], capture_output=True, text=True, timeout=limit, check=False
        )
        assert done.returncode == 0, f"buildah {words[0]}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout


def files_of(layer: Path | bytes) -> Iterator[tuple[str, bytes]]:
    """The path and content of every file in a layer."""
    source = {"fileobj": io.BytesIO(layer)} if isinstance(layer, bytes) else {"name": layer}
    with tarfile.open(mode="r:*", **source) as tar:  # type: ignore[call-overload]
        for member in tar:
            if member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                yield member.name.removeprefix("./"), content.read()
