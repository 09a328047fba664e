"""Views of some of the settings by their names alone, for tests that read what no stage reads."""

from pydantic import create_model

from clseave.foundation.settings.schema import Params, Profile, View


def view(*names):
    """A view with these fields."""
    fields = Params.model_fields | Profile.model_fields
    return create_model("Values", __base__=View, **{name: (fields[name].annotation, fields[name]) for name in names})
