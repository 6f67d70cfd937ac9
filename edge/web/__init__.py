"""The pages and figures of a run over HTTP, for strangers: bounded in everything."""
