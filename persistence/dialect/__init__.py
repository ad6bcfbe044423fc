"""The SQL of Cloudflare Analytics Engine: from a text to SQL for the archive, or to a reason."""
