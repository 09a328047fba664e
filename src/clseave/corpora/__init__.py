"""Corpora and their images: SNLI-VE, XVNLI, photos in folders and archives, downloads."""
