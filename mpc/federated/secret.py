"""stub being written"""
