//! RESP2 commands and replies for pipelines, and the server error codes that change what a client does.
