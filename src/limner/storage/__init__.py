"""Where the bytes of pictures lie: one file per kind of store, all of them a ``BlobStore``."""
