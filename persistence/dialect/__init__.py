"""The SQL of Cloudflare Analytics Engine: a text becomes SQL for the archive, or a reason."""
