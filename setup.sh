#!/bin/sh
# Runs before the server starts, on Heroku (Procfile), in a container and in `make app`.
#
# Checks that every published run is complete and unaltered, by the SHA-256 of each file in its
# manifest, and stops the start when one is not. Writes nothing; the server's settings are those
# of .streamlit/config.toml, with CORS and XSRF protection on.
set -eu
cd "$(dirname "$0")"

for setting in "${STREAMLIT_SERVER_ENABLE_CORS:-true}" \
               "${STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION:-true}"; do
    case "$setting" in
        [Tt]rue | 1) ;;
        *)  echo "setup.sh: CORS and XSRF protection stay on; unset the STREAMLIT_SERVER_ENABLE_… variables." >&2
            exit 1 ;;
    esac
done

if ! PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" -m src.runs verify; then
    echo "setup.sh: the check of the published runs failed, so the server is not started." >&2
    echo "Restore the files named above (git checkout -- outputs) or remove that version." >&2
    exit 1
fi
