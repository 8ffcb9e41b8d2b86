"""Streams between machines: what the commands `serve`, `send` and `receive` are made of.

    file ─► parcel ─► feed ─► transport.Sender ~~ a channel ~~► transport.Receiver ─► fetch ─► store ─► file

The transport knows neither files nor names: a parcel adds them, as items of the group.
"""
