//! Fuzz targets of Aqueduct as plain functions, with their corpus
