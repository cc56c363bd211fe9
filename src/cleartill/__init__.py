"""A card-processing microservice you can see through."""
