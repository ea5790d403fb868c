"""Schema changes in order, one file each; revision `000N` is schema version N."""
